-- One row per run, from the manifests.
CREATE VIEW runs AS
SELECT
    run_id,
    state,
    created_at,
    dataset,
    dataset_version,
    list_sum(list_transform(planned, lambda cell: cell.episodes))::BIGINT AS episodes_planned,
    planned,
    users,
    protocol,
    templates,
    models::JSON AS models,
    versions::JSON AS versions,
    made_with::JSON AS made_with,
    commit,
    dirty,
    schema_version,
    config::JSON AS config,
    cells::JSON AS cells,
    night::JSON AS night
FROM manifests;
