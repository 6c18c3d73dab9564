/**
 * A charter is read in every form that is in use, and one that is wrong is refused with file, line and field.
 */
import { expect, test } from 'vitest'
import { CharterError, parseCharter } from '../../../src/charter/load.js'

const GOVERNANCE = `name: orchestrator-supervisor
role: Tier1-Orchestrator
tier: 1
identity: {name: Wundr Orchestrator, description: AI orchestrator…, personality: "Professional, efficient, and helpful"}
capabilities: [task_analysis, code_review, file_operations, bash_execution, web_research, documentation]
responsibilities: [triage_requests, manage_session_lifecycle, allocate_token_budget, coordinate_subagents]
resourceLimits: {maxSessions: 10, maxTokensPerSession: 100000, maxConcurrentTasks: 5, tokenBudget: {hourly: 500000, daily: 5000000}}
safetyHeuristics:
  autoApprove: [Read file operations, Code analysis, Documentation generation]
  requireConfirmation: [File modifications, Database operations]
  alwaysReject: ["rm -rf /", Destructive operations without backup]
  escalate: [Production deployments, Security-sensitive operations]
operationalSettings: {defaultModel: gpt-4o-mini, temperature: 0.7, maxRetries: 3, timeoutMs: 300000}
`

const DAEMON = `---
name: \${ORCHESTRATOR_NAME}
role: Orchestrator
tier: 1
identity:
  name: \${ORCHESTRATOR_NAME}
  email: \${ORCHESTRATOR_EMAIL}
  slackHandle: "@\${ORCHESTRATOR_NAME:-orchestrator}"
responsibilities: [Triage]
resourceLimits:
  maxSessions: \${SLOTS}
  tokenBudget: {subscription: "80%", api: "20%"}
memory: {maxHeapMB: 2048, maxContextTokens: 200000}
measurableObjectives: {responseTime: "< 5 minutes", uptime: 99.9}
hardConstraints:
  - Never exhaust API quota
  - Always maintain audit trail
  - Escalate blocked requests within 5 minutes
  - Never auto-approve security-sensitive operations
  - Always respect session slot limits
safetyHeuristics:
  autoApprove: [Read file operations, Run test suites, Lint and format code, Git status and diff]
  alwaysReject: [rm -rf /, Force push to main, Delete production database, Expose secrets]
  escalate: [Production deployments, Security credential changes, External API integrations]
---
`

const ORGANISATION = JSON.stringify({
  id: 'org_1',
  organizationId: 'acme',
  name: 'Acme',
  mission: 'Ship',
  vision: null,
  values: ['care'],
  principles: [{ title: 'Small steps' }],
  governance: { style: 'federated' },
  security: { mfa: true },
  communication: {},
  version: 3,
  isActive: true,
})

const mistakesIn = (text: string): readonly string[] => {
  try {
    parseCharter(text, 'charter.yaml')
  } catch (error) {
    if (error instanceof CharterError) return error.mistakes
    throw error
  }
  throw new Error('it was accepted')
}

test('the governance form is read as it is', () => {
  const { charter, notes } = parseCharter(GOVERNANCE, 'charter.yaml')

  expect(notes).toEqual([])
  expect(charter.resourceLimits).toMatchObject({ maxConcurrentTasks: 5, tokenBudget: { hourly: 500_000 } })
  expect(charter.safetyHeuristics.requireConfirmation).toEqual(['File modifications', 'Database operations'])
})

test('the form of the daemon is read with its placeholders, and a stray document end does no harm', () => {
  const env = { ORCHESTRATOR_NAME: 'ada', ORCHESTRATOR_EMAIL: 'ada@example.com', SLOTS: '7' }

  const { charter, notes } = parseCharter(DAEMON, 'charter.yaml', env)

  expect(charter).toMatchObject({ name: 'ada', identity: { email: 'ada@example.com', slackHandle: '@ada' } })
  expect(charter.resourceLimits.maxSessions).toBe(7)
  expect(charter.memory.maxHeapMB).toBe(2048)
  expect(notes, 'every phrase of it means something').toEqual([])
})

test('a placeholder that nobody has set leaves its field out, and says so', () => {
  const { charter, notes } = parseCharter(DAEMON, 'charter.yaml', {})

  expect(charter.identity).toEqual({ slackHandle: '@orchestrator' })
  expect(notes).toContain('charter.yaml: identity.email is left out, because ORCHESTRATOR_EMAIL is not set')
})

test('the charter of an organisation is read from JSON', () => {
  const { charter } = parseCharter(ORGANISATION, 'charter.json')

  expect(charter).toMatchObject({ organizationId: 'acme', governance: { style: 'federated' }, isActive: true })
})

test('a field of the wrong kind is named with file and line', () => {
  const text = GOVERNANCE.replace('maxSessions: 10', 'maxSessions: many').replace('tier: 1', 'tier: 9')

  expect(mistakesIn(text)).toEqual([
    expect.stringMatching(/^charter\.yaml:3: tier: /),
    expect.stringMatching(/^charter\.yaml:7: resourceLimits\.maxSessions: .*expected number/),
  ])
})

test('text that is no YAML is named with its line', () => {
  expect(mistakesIn('name: x\nrole: [a, b\n')).toEqual([expect.stringMatching(/^charter\.yaml:[23]: /)])
  expect(mistakesIn('')).toEqual(['charter.yaml: it is empty'])
  expect(mistakesIn('- a\n- b\n')[0]).toMatch(/^charter\.yaml:1: a charter is a list of fields/)
})

test('what is approved and rejected at once is refused, and so is an hour longer than a day', () => {
  const text = `safetyHeuristics:
  autoApprove:
    - Read file operations
    - Git  Push
  alwaysReject: [git push]
resourceLimits: {tokenBudget: {hourly: 10, daily: 5}}
`

  expect(mistakesIn(text)).toEqual([
    'charter.yaml:4: safetyHeuristics.autoApprove.1: "Git  Push" stands in autoApprove and in alwaysReject; leave it in one of them',
    'charter.yaml:6: resourceLimits.tokenBudget.hourly: 10 tokens hourly are more than the 5 daily',
  ])
})

test('entries that match nothing and fields that nobody knows are kept and said aloud', () => {
  const text = 'color: blue\nsafetyHeuristics: {escalate: [Architectural changes, "git push *"]}\n'

  const { charter, notes } = parseCharter(text, 'charter.yaml')

  expect(charter.safetyHeuristics.escalate).toEqual(['Architectural changes', 'git push *'])
  expect(notes).toEqual([
    'charter.yaml:1: color is not a field of a charter and has no effect',
    'charter.yaml: "Architectural changes" in escalate matches nothing; see docs/charter.md for what an entry may be',
  ])
})
