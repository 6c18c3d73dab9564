/**
 * Programs that change the machine: disks, power, users, services, processes.
 */
import type { ActionClass } from '../actions.js'
import { headOf, shownAll, textOf } from './field.js'
import { type Invocation, named, type Program, type Programs } from './host.js'
import { hasOption, operandsOf } from './options.js'
import { UNKNOWN } from './stream.js'

const does =
  (action: ActionClass, what: string): Program =>
  ({ shell, name }) => {
    shell.report(action, `${what} with ${name}`)
    return UNKNOWN
  }

const kill: Program = ({ shell, args, name }) => {
  const targets = operandsOf(
    name === 'kill' ? args.filter((arg, index) => !(index === 0 && /^-(\d+|[A-Z]+|s|n)$/.test(headOf(arg)))) : args,
    ['-s', '-n', '-u', '-g', '-P', '-t'],
  )
  const all = shownAll(args)
  if (/^-[lL]$/.test(all[0] ?? '')) return UNKNOWN
  if (
    all
      .slice(1)
      .concat(all.length === 1 ? all : [])
      .some((word) => /^-1$|^1$/.test(word)) &&
    name === 'kill'
  ) {
    shell.report('system.halt', 'ends every process')
  } else if (name !== 'kill') shell.report('process.signal', `ends processes by name: ${all.join(' ')}`)
  else if (targets.some((target) => target.some((piece) => typeof piece !== 'string' && piece.hole === 'any'))) {
    shell.report('process.signal', 'ends a process that is only known then')
  }
  return UNKNOWN
}

const ip: Program = ({ shell, args }) => {
  if (shownAll(args).some((word) => /^(set|add|del|delete|flush|change|replace|exec)$/.test(word))) {
    shell.report('security.change', 'changes the network of the machine')
  }
  return UNKNOWN
}

const POWER = /^(poweroff|reboot|halt|kexec|suspend|hibernate|emergency|rescue|isolate|exit)$/

const systemctl: Program = ({ shell, args, name }) => {
  const [verb = '', service = ''] = shownAll(operandsOf(args, ['-t', '-n', '-p', '-u']))
  const action = name === 'service' ? service : verb
  if (POWER.test(action)) shell.report('system.halt', 'stops the machine')
  else if (!/^(status|show|cat|list-.*|is-.*|help|get-default|--status-all|)$/.test(action)) {
    shell.report('system.service', `changes services: ${name} ${shownAll(args).join(' ')}`)
  }
  return UNKNOWN
}

const init: Program = ({ shell, args, name }) => {
  if (name !== 'init' || /^[0-6sS]$/.test(textOf(args[0]) ?? '')) shell.report('system.halt', 'stops the machine')
  return UNKNOWN
}

const sysctl: Program = ({ shell, args }) => {
  if (hasOption(args, '-w', '-p', '--write', '--load') || shownAll(args).some((word) => word.includes('='))) {
    shell.report('system.service', 'changes settings of the kernel')
  }
  return UNKNOWN
}

const mount: Program = ({ shell, args, name }) => {
  if (args.length > 0 || name !== 'mount')
    shell.report('disk.raw', `changes what is mounted: ${name} ${shownAll(args).join(' ')}`)
  return UNKNOWN
}

const packageManager: Program = ({ shell, args, name }) => {
  const [verb = ''] = shownAll(operandsOf(args, ['-c', '-o', '-t']))
  if (/^(list|search|show|info|policy|depends|rdepends|changelog|check|version|--version|-Q.*|-s.*)$/.test(verb))
    return UNKNOWN
  if (shownAll(args).some((word) => /(Pre|Post)-Invoke|Dpkg::|APT::Update/i.test(word)))
    shell.unresolved('lets the package manager run a command')
  shell.report('system.service', `changes the packages of the machine: ${name} ${verb}`)
  return UNKNOWN
}

/** `fdisk -l` and the like only look. */
const disk: Program = (call: Invocation) =>
  hasOption(call.args, '-l', '--list') && !['mkfs', 'wipefs'].includes(call.name)
    ? UNKNOWN
    : does('disk.raw', 'changes disks')(call)

const MKFS = [
  '',
  '.ext2',
  '.ext3',
  '.ext4',
  '.xfs',
  '.btrfs',
  '.vfat',
  '.fat',
  '.ntfs',
  '.f2fs',
  '.msdos',
  '.minix',
  '.cramfs',
].map((kind) => `mkfs${kind}`)

export const SYSTEM_PROGRAMS: Programs = {
  ...named(
    disk,
    ...MKFS,
    'mke2fs mkswap fdisk sfdisk cfdisk gdisk sgdisk parted wipefs blkdiscard hdparm nvme losetup',
    'cryptsetup lvremove vgremove pvremove lvcreate mdadm zpool zfs swapoff swapon badblocks debugfs',
    'tune2fs resize2fs e2fsck fsck dmsetup diskutil format',
  ),
  ...named(mount, 'mount umount fusermount pivot_root'),
  ...named(does('system.halt', 'stops the machine'), 'shutdown reboot halt poweroff killall5'),
  ...named(init, 'init telinit'),
  ...named(systemctl, 'systemctl service rc-service launchctl supervisorctl'),
  ...named(sysctl, 'sysctl'),
  ...named(
    does('system.service', 'changes the kernel'),
    'modprobe insmod rmmod kexec sysrq hwclock timedatectl hostnamectl update-alternatives',
    'update-rc.d ldconfig swaplabel',
  ),
  ...named(
    does('security.change', 'changes users and their rights'),
    'useradd userdel usermod adduser deluser groupadd groupdel groupmod gpasswd passwd chpasswd',
    'visudo vipw chage newusers chsh chfn ssh-copy-id ssh-add htpasswd pass security secret-tool',
    'vault keytool gpg gpg2 certutil update-ca-certificates kinit auditctl',
  ),
  ...named(
    does('security.change', 'changes what the network lets through'),
    'iptables ip6tables nft ufw firewall-cmd setenforce semanage apparmor_parser ebtables route',
    'ifconfig tc',
  ),
  ...named(
    packageManager,
    'apt apt-get aptitude dpkg yum dnf rpm pacman zypper apk snap flatpak brew port emerge nix-env',
  ),
  ip,
  ...named(kill, 'kill pkill killall skill snice xkill'),
}
