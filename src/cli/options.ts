/** What is bad usage, for every command; options and configuration are read in the room config/. */
export { findFolder, findScript } from '../config/paths.js'
export { UsageError } from '../config/usage-error.js'
