-- Tasks that people give in Neolith, from the message that asks to the message that answers: whoever sees to one may die,
-- and Neolith must neither lack an answer nor get one twice.

-- `position` is how far the session's story has been told there. `posting` is what is being written there now: as long as it
-- stands, nobody knows whether it arrived. `watcher` sees to the row until `watched_until`; then anybody may.
create table neolith_tasks (
  orchestrator text not null,
  message_id text not null,
  channel_id text not null,
  author text,
  content text not null,
  session_id text,
  position json,
  posting json,
  failures int not null default 0,
  not_before timestamptz not null default now(),
  watcher text,
  watched_until timestamptz,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  end_status text check (end_status in ('answered', 'refused', 'unanswered')),
  primary key (orchestrator, message_id),
  check ((ended_at is not null) = (end_status is not null))
);
create index neolith_tasks_open on neolith_tasks (orchestrator, not_before) where ended_at is null;
create index neolith_tasks_ended on neolith_tasks (ended_at) where ended_at is not null;

-- Up to when Neolith's events have been taken in, by its clock.
create table neolith_events (
  orchestrator text primary key,
  since timestamptz not null
);
