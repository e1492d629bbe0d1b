"""All commands, wired in one place; each command's module is imported when the command runs."""

from importlib.metadata import version

from cyclopts import App, Parameter


def _default(value: object) -> str | None:
    """A default as help shows it; None: it would tell nothing, as that a flag is not set."""
    return None if value is None or value is False or value == () else str(value)


app = App(
    name="muses",
    help="Evaluate LLM agents that serve many users at once.",
    version=version("muses-eval"),
    default_parameter=Parameter(negative=(), show_default=_default),
)
app.command("flows.cli.plan:plan", help="Show what a run would play and what that would take.")
app.command("flows.cli.run:run", help="Play what a run owes and print the leaderboard.")
app.command("flows.cli.rehearse:rehearse", help="Play a run against a provider here that makes trouble.")
app.command("flows.cli.score:score", help="Score recorded replies without a model.")
app.command("flows.cli.queries:leaderboard", help="Print mean ± SE of every model.")
app.command("flows.cli.compare:compare", help="Compare models, paired by scenario.")
app.command("flows.cli.diff:diff", help="Say what differs between two runs.")
app.command("flows.cli.queries:sql", help="Ask anything of the traces in SQL.")
app.command("flows.cli.queries:trace", help="Print one episode: who said what to whom.")
app.command("flows.cli.rescore:rescore", help="Score a stored run again under new rules.")
app.command("flows.cli.deploy:deploy", help="Register nights, upkeep, runs and sweeps at a Prefect server.")
app.command("flows.cli.doctor:doctor", help="Check Ray, Prefect, the store and every endpoint.")

flow = App(name="flow", help="The same jobs through Prefect.")
flow.command("flows.cli.run:flow_evaluate", help="Play what a run owes, through Prefect.", name="evaluate")
flow.command("flows.cli.sweep:sweep", help="Play what all runs of a grid owe.")
flow.command("flows.cli.nightly:nightly", help="Play a night: what has changed, and the canary.")
flow.command("flows.cli.nightly:maintain", help="Delete what is old, verify, seal, clean up.")
flow.command("flows.cli.nightly:status", help="Show how the last nights went.")
app.command(flow)

export = App(name="export", help="A run in the forms that other tools read.")
export.command("flows.cli.export:inspect", help="Write a run as logs of Inspect.")
export.command("flows.cli.export:csv", help="Write one view of a run as CSV.")
export.command("flows.cli.export:jsonl", help="Write one view of a run as JSON, a line a row.")
export.command("flows.cli.export:parquet", help="Write one view of a run as one Parquet file.")
app.command(export)

store = App(name="store", help="What lies in a store: list, verify, seal, clean up.")
store.command("flows.cli.store:ls", help="List runs: state, episodes, objects, size, age.")
store.command("flows.cli.store:du", help="Show what each run takes, by kind.")
store.command("flows.cli.store:verify", help="Read every object and check it against the manifest.")
store.command("flows.cli.store:seal", help="Turn a run's shards into few large, sorted objects.")
store.command("flows.cli.store:gc", help="Delete what cut-off writers and seals have left.")
store.command("flows.cli.store:prune", help="Delete whole runs by age and name.")
app.command(store)

dashboard = App(name="dashboard", help="Web pages of a store.")
dashboard.command("flows.cli.dashboard:serve", help="Show a store's pages in the browser, as long as this runs.")
dashboard.command("flows.cli.dashboard:export", help="Write a store's pages as files that need no server.")
app.command(dashboard)

data = App(name="data", help="Scenarios: generate, check and read them, fetch the official ones.")
data.command("flows.cli.data:generate", help="Write generated scenarios as files.")
data.command("flows.cli.data:validate", help="Read every row and report all that is wrong.")
data.command("flows.cli.data:show", help="List scenarios, or print one.")
data.command("flows.cli.data:pull", help="Fetch the official files and check their sums.")
app.command(data)
