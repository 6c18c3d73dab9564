/**
 * A value that changes and is watched: what several parts of the page show, and what outlives the part that shows it.
 */
import { useEffect, useState } from 'preact/hooks'

export class Store<T> {
  #value: T
  readonly #watchers = new Set<() => void>()

  constructor(value: T) {
    this.#value = value
  }

  get value(): T {
    return this.#value
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return
    this.#value = value
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Returns a function that ends the watching. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }
}

/** The value now, and a new rendering whenever it is another one. */
export function useStore<T>(store: Store<T>): T {
  const [, render] = useState({})
  const { value } = store
  useEffect(() => {
    const stop = store.watch(() => render({}))
    // What changed between the rendering and here would be missed otherwise.
    if (store.value !== value) render({})
    return stop
  }, [store])
  return value
}
