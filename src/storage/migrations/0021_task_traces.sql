-- Tasks that run later, or that others do, belong to the trace of the command that asked for them. Whoever moves the row on
-- has nothing but the row. W3C context; null where nobody said where the command belongs.
alter table scheduled_tasks add column traceparent text;
alter table federation_delegations add column traceparent text;
