/**
 * Tasks for a fake Neolith, and what the answer to them must be.
 */
import { expect, vi } from 'vitest'
import { type FakeNeolith, type StoredMessage, USER } from './fake-neolith.js'

/** Settings of a daemon that speaks to it, with sessions that need no model. */
export const neolithSettings = ({ url }: FakeNeolith, key: string, secret: string): Record<string, string> => ({
  ...{ NEOLITH_API_URL: url, NEOLITH_API_KEY: key, NEOLITH_API_SECRET: secret, NEOLITH_SESSION_TYPE: 'echo' },
})

/** A task for sessions of type `echo` that is told in so many paragraphs, one each `delayMs`. */
export function longTask(paragraphs: number, delayMs: number): { readonly text: string; readonly paragraph: string } {
  const pad = 'the same words again, '.repeat(20)
  const paragraph = `{"pad":"${pad}",\n\n"count":${paragraphs},"delayMs":${delayMs}}`
  return { text: `@${USER} ${paragraph}`, paragraph }
}

const FINAL = ['result', 'failed', 'cancelled']
export const kindOf = ({ metadata }: StoredMessage): unknown => metadata?.kind

/** What was written in answer to a message, when the last of it is there. */
export async function answered(
  neolith: FakeNeolith,
  message: StoredMessage,
  timeout = 30_000,
): Promise<readonly StoredMessage[]> {
  const isOver = () => neolith.answersTo(message).some((each) => FINAL.includes(String(kindOf(each))))
  await vi.waitFor(() => expect(isOver()).toBe(true), { timeout, interval: 20 })
  return neolith.answersTo(message)
}

/** The text of an answer without what only says how it goes, and without the blanks that pieces lose. */
export const wordsOf = (answers: readonly StoredMessage[]): string =>
  answers
    .filter((each) => kindOf(each) !== 'started')
    .map(({ content }) => content)
    .join(' ')
    .replace(/\s+/g, ' ')

/** No message is there twice. */
export function expectOnce(answers: readonly StoredMessage[]): void {
  const keys = answers.map(({ metadata }) => metadata?.key)
  expect(keys).toEqual([...new Set(keys)])
}
