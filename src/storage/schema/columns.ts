/**
 * Columns as they are read, inserted and updated. JSON goes in as text.
 */
import type { ColumnType } from 'kysely'

export type JsonText = ColumnType<unknown, string, string>
export type NullableJsonText = ColumnType<unknown, string | null | undefined, string | null>
export type Timestamp = ColumnType<Date, Date | string, Date | string>
export type FilledTimestamp = ColumnType<Date, Date | string | undefined, Date | string>
export type NullableTimestamp = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>
