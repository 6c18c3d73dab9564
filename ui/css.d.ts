/** Style sheets are imported for their effect; the build gives them to the page. */
declare module '*.css'
