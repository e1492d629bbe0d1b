-- One row a planned episode, nested columns included.
CREATE VIEW episodes AS
FROM once('traces');
