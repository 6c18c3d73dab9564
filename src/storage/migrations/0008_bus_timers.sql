-- Durable timers of the bus of one process: where it has no Redis, they must be there after the process was killed.
create table bus_timers (
  session_id text not null,
  -- What the timer is for; a session has one of each name.
  name text not null,
  -- Milliseconds since 1970.
  due_at bigint not null,
  note text not null,
  primary key (session_id, name)
);
