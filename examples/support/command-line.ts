// What every program here does around its main: what its user did wrong, and what the network refuses, is told in one
// line, without a stack; bugs keep theirs.
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { ConnectError, ListenError, run, type Operation } from 'cede'

/** A mistake of the user: told in one line, with exit status 2. */
export class UsageError extends Error {}

/** Something the program could not do, and nobody's bug: told in one line, with exit status 1. */
export class Failure extends Error {}

export interface Program {
  /** Its name in examples/; without `.ts` it stands before messages. */
  readonly file: string
  /** How to start it. Default: `npx tsx examples/<file>`. */
  readonly command?: string | undefined
  /** Printed for --help; it begins with `Usage: `. */
  readonly help: string
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** Reads the command line with `settings`, and runs what `main` makes of it. `main` gets what `settings` returned. */
export async function runProgram<S>(
  { file, command = `npx tsx examples/${file}`, help }: Program,
  settings: (args: readonly string[]) => S,
  main: (settings: S) => Operation<unknown>,
): Promise<void> {
  const name = file.replace(/\.ts$/, '')
  const args = process.argv.slice(2)
  if (args.includes('--help')) {
    console.log(help)
    return
  }
  try {
    await run(main(settings(args)))
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${name}: ${error.message}\nSee ${command} --help`)
      process.exitCode = 2
    } else if (error instanceof Failure || error instanceof ListenError || error instanceof ConnectError) {
      console.error(`${name}: ${error.message}`)
      process.exitCode = 1
    } else {
      throw error
    }
  }
}

/** The same for a server that takes `--host` and `--port` and no more. */
export function runServer(
  file: string,
  about: string,
  defaultPort: number,
  main: (address: Address) => Operation<unknown>,
): Promise<void> {
  const help = `Usage: npx tsx examples/${file} [options]

${about}

  --host <address>   where to listen (default 127.0.0.1)
  --port <number>    which port; 0 takes any that is free (default ${defaultPort})
  --help             print this`
  return runProgram({ file, help }, (args) => addressFrom(args, defaultPort), main)
}

/** `parseArgs`, with the user's mistakes as `UsageError`. */
export function parse<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs<T>({ ...config, args: joined(config) })
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0])
  }
}

/** `--idle -1` as `--idle=-1`: a number below 0 is a wrong value, and not an option that nobody knows. */
function joined({ args = [], options = {} }: ParseArgsConfig): string[] {
  const all: string[] = []
  for (const arg of args) {
    const before = all.at(-1)
    if (/^-[\d.]/.test(arg) && before?.startsWith('--') && options[before.slice(2)]?.type === 'string')
      all[all.length - 1] = `${before}=${arg}`
    else all.push(arg)
  }
  return all
}

function addressFrom(args: readonly string[], defaultPort: number): Address {
  const { host, port } = parse({
    args: [...args],
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: String(defaultPort) },
    },
  }).values
  return { host: hostFrom('--host', host), port: portFrom('--port', port) }
}

/** @param option as the user wrote it: `--port` */
export function portFrom(option: string, value: string): number {
  return numberFrom(option, value, 'a whole number from 0 to 65535', (port) => port <= 65_535 && port >= 0)
}

/** A whole number of which there is at least one: clients, bytes. */
export function countFrom(option: string, value: string): number {
  return numberFrom(option, value, 'a whole number above 0', (count) => count > 0)
}

/** @returns milliseconds */
export function secondsFrom(option: string, value: string): number {
  const ms = Number(value) * 1_000
  if (value.trim() !== '' && ms > 0) return ms
  throw new UsageError(`${option}: expected a number of seconds above 0, found '${value}'`)
}

export function hostFrom(option: string, value: string): string {
  if (value !== '') return value
  throw new UsageError(`${option}: expected an address, found none`)
}

function numberFrom(
  option: string,
  value: string,
  expected: string,
  fits: (number: number) => boolean,
): number {
  const number = Number(value)
  if (value.trim() !== '' && Number.isInteger(number) && fits(number)) return number
  throw new UsageError(`${option}: expected ${expected}, found '${value}'`)
}
