/**
 * A few seconds at a rate that any machine carries. See `commands.js` for what it takes from the environment.
 */
import { commandLoad, summarize } from './commands.js'

const load = commandLoad({ rate: 200, seconds: 3, users: 2, sockets: 10, sessions: 2 })

export const options = load.options
export const handleSummary = summarize
export { setup } from './commands.js'
export default load.run
