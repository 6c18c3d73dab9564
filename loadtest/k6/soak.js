/**
 * A moderate rate for long: what grows shows. See `commands.js` for what it takes from the environment.
 */
import { commandLoad, summarize } from './commands.js'

const load = commandLoad({ rate: 500, seconds: 600, users: 2, sockets: 20, sessions: 5 })

export const options = load.options
export const handleSummary = summarize
export { setup } from './commands.js'
export default load.run
