// Peers that come from npm but are no development dependencies, because they are large or ask for another Node: the
// runtimes Bun and Deno, and Effect's socket server. `npm run bench -- --install` brings them into .cache.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { installedRuntime, installRuntime, type Runtime } from '../tools/runtimes.ts'
import { MissingError } from './line-process.ts'

export const installPackages = 'npm run bench -- --install'

const root = fileURLToPath(new URL('..', import.meta.url))
const effectVersion = '4.1.0'
const effectFolder = join(root, '.cache', 'peers', `effect-sockets-${effectVersion}`)
const effectPackage = '@effect/platform-node-shared'

/** The module that makes Effect's socket servers, if it is installed. */
const effectSocketServer = join(effectFolder, 'node_modules', effectPackage, 'dist', 'NodeSocketServer.js')

/** Tells bench/echo/peers/effect.ts, which runs elsewhere. */
export const effectSockets = { EFFECT_SOCKET_SERVER: pathToFileURL(effectSocketServer).href }

/** @throws {MissingError} if Effect's socket server is not installed */
export function requireEffectSockets(): void {
  if (!existsSync(effectSocketServer)) throw new MissingError(`${effectPackage} was expected, found none`)
}

/**
 * The binary of Bun or Deno.
 *
 * @throws {MissingError} if it is not installed
 */
export function runtimeBinary(runtime: Runtime): string {
  const binary = installedRuntime(runtime)
  if (binary === undefined) throw new MissingError(`${runtime} was expected, found none`)
  return binary
}

/** Brings those that are missing. */
export function installPeerPackages(): void {
  for (const runtime of ['bun', 'deno'] as const) console.log(`${runtime}: ${installRuntime(runtime)}`)
  if (!existsSync(join(effectFolder, 'node_modules'))) {
    mkdirSync(effectFolder, { recursive: true })
    writeFileSync(join(effectFolder, 'package.json'), '{ "private": true }')
    // Without its peers: it finds `effect` among our development dependencies.
    const how = ['--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps', '--loglevel=error']
    execFileSync('npm', ['install', ...how, `${effectPackage}@${effectVersion}`], {
      cwd: effectFolder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  console.log(`${effectPackage}: ${effectFolder}`)
}
