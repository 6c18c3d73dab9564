/**
 * 10,000 commands a second for a minute. See `commands.js` for what it takes from the environment.
 */
import { commandLoad, summarize } from './commands.js'

const load = commandLoad({ rate: 10000, seconds: 60, users: 2, sockets: 20, sessions: 5 })

export const options = load.options
export const handleSummary = summarize
export default load.run
