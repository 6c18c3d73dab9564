/**
 * Clouds and clusters: what is running for others.
 */
import { shownAll } from './field.js'
import { named, type Program, type Programs } from './host.js'
import { hasOption, operandsOf } from './options.js'
import { UNKNOWN } from './stream.js'

const LOOKS =
  /^(get|describe|logs?|list|ls|show|status|version|plan|validate|fmt|init|template|lint|diff|output|explain|top|info|history|whoami|help|search|cat|view|inspect|events|api-resources|config|auth|completion|providers|graph|state|workspace|env|account|sts|head|repo|dry-run|preview|console|current|--version|--help|-h)$/

const DESTROYS =
  /^(delete|destroy|rm|rb|drain|cordon|terminate|purge|uninstall|remove|del|drop|evict|taint|nuke|kill|scale-down|delete-.*|terminate-.*|remove-.*|rollback|force-unlock|apps:destroy|pg:reset)$/

/** Clouds and clusters: verbs that look, verbs that destroy, and all others, which change what is running. */
const cloud: Program = ({ shell, args, name }) => {
  const all = shownAll(
    operandsOf(args, [
      '-n',
      '--namespace',
      '--context',
      '--profile',
      '--region',
      '--project',
      '-f',
      '-o',
      '--output',
      '--chdir',
      '-l',
      '--kubeconfig',
    ]),
  )
  const text = `${name} ${shownAll(args).join(' ')}`.slice(0, 100)
  if (hasOption(args, '--dry-run', '--dryrun', '--check')) shell.report('infrastructure.read', text)
  else if (all.some((word) => DESTROYS.test(word)) || hasOption(args, '--destroy', '-destroy', '--delete'))
    shell.report('infrastructure.destroy', `removes what is running: ${text}`)
  else if (
    /\b(iam|secretsmanager|kms|secrets?|get-secret-value|get-parameters?|passwords?|credentials|print-access-token|tokens?)\b/.test(
      text,
    )
  )
    shell.report('security.change', `works with credentials: ${text}`)
  else if (
    all.some(
      (word, index) =>
        LOOKS.test(word) && index < 3 && !/^(apply|deploy|upgrade|install|create|up)$/.test(all[0] ?? ''),
    ) ||
    all.length === 0
  )
    shell.report('infrastructure.read', text)
  else shell.report('deploy.production', `changes what is running: ${text}`)
  return UNKNOWN
}

export const CLOUDS: Programs = {
  ...named(
    cloud,
    'kubectl helm terraform tofu pulumi ansible ansible-playbook aws gcloud az gsutil heroku vercel',
    'netlify flyctl fly serverless sls cdk firebase wrangler oc doctl eksctl argocd nomad cap gh glab',
    'railway kustomize skaffold eb sam rclone s3cmd mc',
  ),
}
