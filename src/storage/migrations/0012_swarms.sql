-- What the agents of a session have agreed on: who they are and the tasks among them, as one JSON object. `epoch` is of
-- the owner that wrote it last: nobody with a lower one writes.
create table swarms (
  session_id text primary key,
  epoch bigint not null,
  body text not null
);
