/**
 * `k6/execution` as far as the scripts of this project use it.
 */
export class Aborted extends Error {}

const state = { vu: 0 }

/** Which virtual user begins now. */
export const beginUser = (number) => {
  state.vu = number
}

export default {
  vu: {
    get idInTest() {
      return state.vu
    },
  },
  test: {
    abort(reason) {
      throw new Aborted(reason)
    },
  },
}
