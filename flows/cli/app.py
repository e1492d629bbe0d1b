"""All commands, wired in one place; each command's module is imported when the command runs."""

from importlib.metadata import version

from cyclopts import App, Parameter

app = App(
    name="muses",
    help="Evaluate LLM agents that serve many users at once.",
    version=version("muses-eval"),
    default_parameter=Parameter(negative=()),
)
app.command("flows.cli.run:plan")
app.command("flows.cli.run:run")
app.command("flows.cli.score:score")
app.command("flows.cli.ask:leaderboard")
app.command("flows.cli.ask:sql")
app.command("flows.cli.ask:trace")
app.command("flows.cli.doctor:doctor")

flow = App(name="flow", help="The same jobs through Prefect.")
flow.command("flows.cli.run:flow_evaluate", name="evaluate")
app.command(flow)
