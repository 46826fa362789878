-- tasklog file format, version 2 (not released yet).
--
-- The sections below begin with `-- ==`. `tables` and `views` hold for readers of an older log, too:
-- they make the same tables, empty, and the same views as TEMP objects, so that all code sees this
-- version. So `tables` has CREATE TABLE only, and no table of version 1 gets a new column; indexes of
-- new tables, and what fills them, belong to `data`, which only a migration runs. A view that exists
-- in version 1 is dropped in `data` and made in `views`.

-- == tables

-- == data

-- == views
