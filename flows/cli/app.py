"""Registers all commands; the module of a command is imported when the command runs."""

from importlib.metadata import version

from cyclopts import App, Parameter


def _default(value: object) -> str | None:
    """Returns the default that the help shows; None to show none, such as for an unset flag."""
    return None if value is None or value is False or value == () else str(value)


app = App(
    name="muses",
    help="Evaluate LLM agents that serve many users at once.",
    version=version("muses-eval"),
    default_parameter=Parameter(negative=(), show_default=_default),
)
app.command("muses_eval.flows.cli.init:init", help="Write a commented configuration with all options.")
app.command("muses_eval.flows.cli.plan:plan", help="Show the episodes, cost and time of a run without running it.")
app.command(
    "muses_eval.flows.cli.run:run",
    help="Run an evaluation: play every episode that has no score yet, then print the leaderboard.",
)
app.command("muses_eval.flows.cli.steer:pause", help="Pause a run in progress; started episodes are finished.")
app.command("muses_eval.flows.cli.steer:resume", help="Continue a paused run.")
app.command("muses_eval.flows.cli.steer:stop", help="Stop a run in progress as Ctrl-C does.")
app.command(
    "muses_eval.flows.cli.rehearse:rehearse", help="Run an evaluation against a local provider that injects faults."
)
app.command("muses_eval.flows.cli.score:score", help="Score recorded replies without a model.")
app.command(
    "muses_eval.flows.cli.agreement:agreement", help="Compare the scorings with recorded verdicts: rate and exceptions."
)
app.command("muses_eval.flows.cli.queries:leaderboard", help="Print the mean ± standard error of every model.")
app.command("muses_eval.flows.cli.compare:compare", help="Compare models on the scenarios that they share.")
app.command(
    "muses_eval.flows.cli.harness:harness",
    help="Compare the agents of a run with their models alone: scores, cost and time.",
)
app.command("muses_eval.flows.cli.diff:diff", help="Show the differences between two runs.")
app.command("muses_eval.flows.cli.queries:sql", help="Query the stored results with SQL.")
app.command(
    "muses_eval.flows.cli.queries:trace", help="Print the transcript of one episode, and what was right and wrong."
)
app.command("muses_eval.flows.cli.worst:worst", help="List the episodes with the lowest scores.")
app.command("muses_eval.flows.cli.rescore:rescore", help="Score a stored run again with the current scorers.")
app.command("muses_eval.flows.cli.deploy:deploy", help="Register Prefect deployments for a configuration.")
app.command("muses_eval.flows.cli.doctor:doctor", help="Check everything that a run needs, and say what to change.")

app.command(
    "muses_eval.flows.cli.completion:completion",
    help="Print the script with which a shell completes commands.",
)

agents = App(name="agents", help="List installed agents, and show the interface of services.")
agents.command("muses_eval.flows.cli.agents:ls", help="List the agents that installed packages declare.")
agents.command("muses_eval.flows.cli.agents:openapi", help="Print the OpenAPI document of agents that are services.")
app.command(agents)

flow = App(name="flow", help="Run evaluations, sweeps and nightly jobs through Prefect.")
flow.command("muses_eval.flows.cli.run:flow_evaluate", help="Run an evaluation as a Prefect flow.", name="evaluate")
flow.command("muses_eval.flows.cli.sweep:sweep", help="Run every evaluation of a parameter grid.")
flow.command("muses_eval.flows.cli.nightly:nightly", help="Run the nightly evaluation: changed cells and the canary.")
flow.command("muses_eval.flows.cli.nightly:maintain", help="Maintain a store: delete old runs, verify, seal, clean up.")
flow.command("muses_eval.flows.cli.nightly:status", help="Show the results of the last nights.")
app.command(flow)

export = App(name="export", help="Export a run to formats that other tools read.")
export.command("muses_eval.flows.cli.export:inspect", help="Write a run as Inspect logs.")
export.command("muses_eval.flows.cli.export:csv", help="Write one view of a run as CSV.")
export.command("muses_eval.flows.cli.export:jsonl", help="Write one view of a run as JSON lines.")
export.command("muses_eval.flows.cli.export:parquet", help="Write one view of a run as one Parquet file.")
app.command(export)

store = App(name="store", help="Manage a store: list, verify, seal, clean up.")
store.command("muses_eval.flows.cli.store:ls", help="List runs: state, episodes, objects, size, age.")
store.command("muses_eval.flows.cli.store:du", help="Show the storage used by each run and kind of object.")
store.command("muses_eval.flows.cli.store:verify", help="Read every object and check it against the manifest.")
store.command("muses_eval.flows.cli.store:seal", help="Compact a run's shards into a few large, sorted objects.")
store.command("muses_eval.flows.cli.store:gc", help="Delete objects left by interrupted writes and seals.")
store.command("muses_eval.flows.cli.store:prune", help="Delete runs by age and name.")
app.command(store)

dashboard = App(name="dashboard", help="Browse a store in web pages.")
dashboard.command("muses_eval.flows.cli.dashboard:serve", help="Serve a store's pages over HTTP.")
dashboard.command("muses_eval.flows.cli.dashboard:export", help="Write a store's pages as static files.")
app.command(dashboard)

data = App(name="data", help="Start, generate, validate, show and download scenarios.")
data.command("muses_eval.flows.cli.data.init:init", help="Write one example per family, to edit.")
data.command("muses_eval.flows.cli.data.generate:generate", help="Generate scenarios and write them to files.")
data.command("muses_eval.flows.cli.data.validate:validate", help="Validate scenario files and report every problem.")
data.command("muses_eval.flows.cli.data.show:show", help="List scenarios, or print one.")
data.command("muses_eval.flows.cli.data.pull:pull", help="Download the official files and verify their checksums.")
app.command(data)
