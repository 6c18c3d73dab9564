-- Tool calls that must never run twice, each noted before it begins. Redis has the same intent, but may lose its last
-- second in a failover; this row does not get lost. A call is known by its place (command, step and position in the
-- model's answer) and not by its id: when the answer was lost too, the model is asked again and gives new ids.
create table tool_intents (
  session_id text not null,
  command_id text not null,
  step int not null,
  position int not null,
  call_id text not null,
  tool text not null,
  -- Who noted it: the same writer may repeat itself when an answer was lost.
  token text not null,
  at timestamptz not null default now(),
  primary key (session_id, command_id, step, position)
);
