-- People answer in the thread of a task what it waits for. Such a message is a row like a task, so that it too is heard once
-- and answered once; `answers` says which task it is about, and what it says.
alter table neolith_tasks add column answers json;
