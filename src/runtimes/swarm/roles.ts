/**
 * Who works in a swarm: what each role is for, what it may use, and the words that make it one.
 */

export interface Role {
  /** For the coordinator: when to give this one a task. */
  readonly description: string
  /** What the agent is told about itself. */
  readonly prompt: string
  /** Claude Code's tools that it may use, beside those of the swarm. */
  readonly tools: readonly string[]
}

const READING = ['Read', 'Glob', 'Grep'] as const
const WORKING = [...READING, 'Bash', 'Edit', 'Write'] as const

const COMMON = `You are one agent of a swarm that works on one task in one directory; a coordinator gives you your part. Do exactly your part. When you were given a task id, call task_complete with the result when you are done. Note with memory_store what others must know and look there with memory_search before you find out anew, where you have these tools. Your last message is all that the coordinator gets from you: say what you did or found, with names of files and numbers.`

export const ROLES = {
  planner: {
    description:
      'Takes a goal apart into small tasks with what each depends on. Use it first for anything with more than two steps.',
    prompt:
      'You plan. Look at what is there, then write the shortest list of tasks that reaches the goal; say for each who should do it and when it is done. Change no file.',
    tools: READING,
  },
  researcher: {
    description: 'Finds out how things are: reads code and documents, compares, answers a question with its sources.',
    prompt:
      'You research. Answer the question with what you have read, and name the place of each fact. Change no file.',
    tools: [...READING, 'Bash'],
  },
  coder: {
    description: 'Writes and changes code and other files.',
    prompt:
      'You write code. Follow the style of what is there, keep the change small, and run what you can to see that it works.',
    tools: WORKING,
  },
  tester: {
    description: 'Writes and runs tests; finds out whether something works and how it fails.',
    prompt:
      'You test. Show by running it what works and what does not; a failure is reported with the command and its output.',
    tools: WORKING,
  },
  reviewer: {
    description: 'Reads a change critically and says what must be better, or that it is good.',
    prompt:
      'You review. Look for mistakes first, then for what is missing, then for what could be simpler; name file and line. Change no file.',
    tools: [...READING, 'Bash'],
  },
  documenter: {
    description: 'Writes and corrects documentation.',
    prompt:
      'You document. Say what a reader needs and nothing that the code says better; check every claim and command.',
    tools: WORKING,
  },
} as const satisfies Record<string, Role>

export type RoleName = keyof typeof ROLES
export const ROLE_NAMES = Object.keys(ROLES) as [RoleName, ...RoleName[]]

export const promptOf = (role: RoleName): string => `${COMMON}\n\n${ROLES[role].prompt}`
