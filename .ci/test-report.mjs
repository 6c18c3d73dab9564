// Reads vitest's JSON report (the argument) and says in lines what the gate adds up: `passed <number>`, and for each test
// by its name and reason `again <test>` when it passed at the second attempt only, or `failed <test>`. A file that broke outside of
// its tests is `failed <file>`. A report that cannot be read says nothing.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

const report = readReport(process.argv[2])
if (report) {
  console.log('passed', report.numPassedTests)
  for (const file of report.testResults) tell(relative('.', file.name), file)
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function tell(path, { status, assertionResults }) {
  const failed = assertionResults.filter((test) => test.status === 'failed')
  // The messages of a first attempt stay with a test that passes in the end.
  const again = assertionResults.filter((test) => test.status === 'passed' && test.failureMessages.length > 0)
  for (const test of again) console.log('again', `${path}: ${test.fullName}: ${reasonOf(test)}`)
  for (const test of failed) console.log('failed', `${path}: ${test.fullName}: ${reasonOf(test)}`)
  if (status === 'failed' && failed.length === 0) console.log('failed', path)
}

/** The first line of why it failed. */
function reasonOf({ failureMessages: [first = ''] }) {
  return first.split('\n', 1)[0]
}
