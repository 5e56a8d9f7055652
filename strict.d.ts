// Turns cede/strict on for every file of the repository: a plain generator whose star was forgotten is then
// reported by the linter like any other floating operation.
import 'cede/strict'
