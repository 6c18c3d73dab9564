-- Without Redis the bus lives in one process, and these tables are its disk: accepted commands, the head of every
-- session and the text being streamed must be there after the process was killed. Events go to `events` themselves.
create table bus_shards (
  shard int primary key,
  owner text,
  epoch bigint not null,
  -- Number of the last command that was accepted from the shard's stream.
  cursor bigint not null
);

-- One row is rewritten with every step: free room in its page lets the old version be replaced in place.
create table bus_sessions (
  session_id text primary key,
  shard int not null,
  tenant text not null,
  status text not null,
  -- Head, floor and what is projected of the session's log; the floor is an event id.
  epoch bigint not null,
  seq bigint not null,
  floor text not null,
  projected bigint not null,
  last_commit text not null,
  -- JSON as text, byte-exact, '' before the first commit.
  state text not null,
  -- What is still valid in the tables below; rows before these numbers may be deleted at any time.
  inbox_first bigint not null,
  control_first bigint not null,
  part bigint not null,
  part_message text,
  generation bigint not null
) with (fillfactor = 50);

create table bus_commands (
  session_id text not null,
  control boolean not null,
  position bigint not null,
  body text not null,
  primary key (session_id, control, position)
);

-- Ids are stored as JSON strings, because a client may choose one that `text` cannot hold.
create table bus_seen (
  session_id text not null,
  command_id text not null,
  generation bigint not null,
  result text not null,
  primary key (session_id, command_id)
);

-- Text of the message being streamed, one row for each piece (a JSON string): appending never rewrites what is there.
create table bus_parts (
  session_id text not null,
  part bigint not null,
  byte_offset bigint not null,
  piece text not null,
  primary key (session_id, part, byte_offset)
);
