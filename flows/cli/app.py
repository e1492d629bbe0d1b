"""All commands, wired in one place; each command's module is imported when the command runs."""

from importlib.metadata import version

from cyclopts import App, Parameter

app = App(
    name="muses",
    help="Evaluate LLM agents that serve many users at once.",
    version=version("muses-eval"),
    default_parameter=Parameter(negative=()),
)
app.command("flows.cli.run:plan", help="Show what a run would play, without playing it.")
app.command("flows.cli.run:run", help="Play what a run owes and print the leaderboard.")
app.command("flows.cli.score:score", help="Score recorded replies without a model.")
app.command("flows.cli.ask:leaderboard", help="Print mean ± SE of every model.")
app.command("flows.cli.compare:compare", help="Compare models, paired by scenario.")
app.command("flows.cli.ask:sql", help="Ask anything of the traces in SQL.")
app.command("flows.cli.ask:trace", help="Print one episode: who said what to whom.")
app.command("flows.cli.rescore:rescore", help="Score a stored run again under new rules.")
app.command("flows.cli.doctor:doctor", help="Check Ray, Prefect, the store and every endpoint.")

flow = App(name="flow", help="The same jobs through Prefect.")
flow.command("flows.cli.run:flow_evaluate", help="Play what a run owes, through Prefect.", name="evaluate")
app.command(flow)

data = App(name="data", help="Scenarios: generate, check and read them, fetch the official ones.")
data.command("flows.cli.data:generate", help="Write generated scenarios as files.")
data.command("flows.cli.data:validate", help="Read every row and report all that is wrong.")
data.command("flows.cli.data:show", help="List scenarios, or print one.")
data.command("flows.cli.data:pull", help="Fetch the official files and check their sums.")
app.command(data)
