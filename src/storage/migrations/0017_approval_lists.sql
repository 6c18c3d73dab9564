-- All approvals of a tenant, newest first: a list that also shows what was decided would otherwise read the whole table.
create index approvals_by_tenant on approvals (tenant, id desc);
