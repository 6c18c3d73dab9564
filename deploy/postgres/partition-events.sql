-- partition-events.sql: cuts the table of events into 16 parts by session, for databases whose events outgrow one table.
-- Each part has an index, a vacuum and, with a tablespace, a disk of its own; a session's events stay together, so every
-- query of the service meets one part. Sessions run on meanwhile: the projection waits for the lock and follows later.
--
--   psql --set ON_ERROR_STOP=1 --file deploy/postgres/partition-events.sql "$DATABASE_URL"
--
-- One transaction: when it fails nothing has changed. It needs as much free disk as events have, and some minutes for each
-- 10 GB. What workers may hold meanwhile: docs/guarantees.md, "Bounds".
begin;

lock table events in access exclusive mode;
alter table events rename to events_whole;
alter index events_pkey rename to events_whole_pkey;

create table events (like events_whole including defaults including constraints including storage,
  primary key (session_id, epoch, seq)) partition by hash (session_id);

do $$
begin
  for part in 0 .. 15 loop
    execute format('create table events_%s partition of events for values with (modulus 16, remainder %s)', part, part);
  end loop;
end $$;

insert into events select * from events_whole;
drop table events_whole;

commit;

analyze events;
