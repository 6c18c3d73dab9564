/**
 * 10,000 commands a second for five minutes. See `commands.js` for what it takes from the environment.
 */
import { commandLoad, summarize } from './commands.js'

const load = commandLoad({ rate: 10000, seconds: 300, users: 2, sockets: 20, sessions: 5 })

export const options = load.options
export const handleSummary = summarize
export { setup } from './commands.js'
export default load.run
