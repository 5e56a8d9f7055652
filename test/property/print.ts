/** A program as pseudo code, for the report of a failure. */
import type { Act, Intervention, Node, Program } from './program.ts'

export function printProgram(program: Program): string {
  const lines = [
    `order: ${program.shuffleSeed === null ? 'first in, first out' : `shuffled with ${program.shuffleSeed}`}`,
    `cleanup grace: ${program.cleanupGraceMs} ms`,
    ...(program.reapMs === null ? [] : [`at ${program.reapMs} ms everything is settled and woken`]),
    ...program.interventions.map(printIntervention),
    'main:',
    ...block(program.main),
  ]
  return lines.join('\n')
}

export function printIntervention(intervention: Intervention): string {
  const does = printAct(intervention.does)
  if (intervention.at === 'ms') return `at ${intervention.ms} ms: ${does}`
  return `at wait event ${intervention.tick}${intervention.soon ? ', by callSoon' : ''}: ${does}`
}

function block(node: Node): string[] {
  return printNode(node).map((line) => `  ${line}`)
}

function braces(head: string, node: Node, tail = '}'): string[] {
  return [`${head} {`, ...block(node), tail]
}

function list(head: string, children: readonly Node[]): string[] {
  return [
    `${head}(`,
    ...children.flatMap((child) => ['  task {', ...block(child).map((line) => `  ${line}`), '  }']),
    ')',
  ]
}

export function printNode(node: Node): string[] {
  switch (node.node) {
    case 'seq':
      return node.parts.length === 0 ? ['pass'] : node.parts.flatMap(printNode)
    case 'act':
      return [printAct(node.does)]
    case 'later':
      return [`${node.ms === null ? 'callSoon' : `callLater ${node.ms} ms`}: ${printAct(node.does)}`]
    case 'elapse':
      return [`compute for ${node.ms} ms`]
    case 'sleep':
      return [`sleep ${node.ms}`]
    case 'checkpoint':
    case 'forever':
    case 'throw':
      return [node.node]
    case 'cancelSelf':
      return ['cancel own task']
    case 'cancelAround':
      return [`cancel scope ${node.depth} levels out`]
    case 'await':
    case 'join':
    case 'cancelAndWait':
      return [`${node.node} task #${node.index}`]
    case 'future':
      return [`await future #${node.index}`]
    case 'get':
      return [`get from queue #${node.index}`]
    case 'spawnSleep':
      return [`createTask(sleep ${node.ms})`]
    case 'bare': {
      const scope = node.kind === 'timeoutOr' ? `timeoutOr ${node.ms}` : node.kind
      return [
        `${scope}(${node.waits === 'sleep' ? `sleep ${node.sleepMs}` : `wait in queue #${node.index}`})`,
      ]
    }
    case 'spawn':
      return braces(node.eager ? 'createTask eager' : 'createTask', node.body)
    case 'scope':
    case 'shield':
      return braces(node.node, node.body)
    case 'timeout':
      return braces(`${node.orElse ? 'timeoutOr' : 'timeout'} ${node.ms}`, node.body)
    case 'group':
      return [
        ...list(
          `group${node.limit === null ? '' : ` limit ${node.limit}`}${node.eager ? ' eager' : ''}`,
          node.children,
        ),
        ...braces('  with body', node.body),
      ]
    case 'gather':
    case 'race':
    case 'any':
      return list(node.node, node.children)
    case 'catch':
      return [...braces('try', node.body, '} catch {'), ...block(node.handler), '}']
    case 'finally':
      return [
        ...braces('try', node.body, '} finally {'),
        ...block(node.cleanup),
        ...(node.exit === 'fall' ? [] : [`  ${node.exit}`]),
        '}',
      ]
    case 'loop':
      return [
        `for ${node.times} times {`,
        ...braces('try', node.body, '} finally {').map((line) => `  ${line}`),
        ...block(node.cleanup).map((line) => `  ${line}`),
        '    continue',
        '  }',
        '}',
      ]
    case 'call':
      return braces(`${node.kind} call, ${node.depth} deep`, node.body)
  }
}

export function printAct(does: Act): string {
  const grace = 'graceMs' in does && does.graceMs !== null ? ` with ${does.graceMs} ms of grace` : ''
  switch (does.act) {
    case 'cancelTask':
      return `cancel task #${does.index}${grace}`
    case 'cancelScope':
      return `cancel scope #${does.index}${grace}`
    case 'watch':
      return `add a done callback to task #${does.index}`
    case 'cancelGroup':
      return `cancel group #${does.index}`
    case 'moveDeadline':
      return `move the deadline of timeout #${does.index} to ${does.ms} ms from now`
    case 'settle':
    case 'fail':
      return `${does.act} future #${does.index}`
    case 'cancelFuture':
      return `cancel future #${does.index}`
    case 'put':
      return `put into queue #${does.index}`
    case 'wakeOne':
      return `wake one of queue #${does.index}`
    case 'failAll':
      return `fail all of queue #${does.index}`
    case 'moveWaiters':
      return `move ${does.count} waiters of queue #${does.index} to #${does.to}`
    case 'handAndCancel':
      return does.cancelFirst
        ? `cancel the first waiter of queue #${does.index}, then hand it a value`
        : `hand a value to the first waiter of queue #${does.index}, then cancel it`
  }
}
