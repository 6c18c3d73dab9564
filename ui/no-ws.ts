/** Stands in for the package `ws` in the bundle: browsers have a WebSocket of their own. */
export default WebSocket
