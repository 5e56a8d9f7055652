// The mutants still fit the sources. Whether they are found takes longer: npm run test:mutation.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applied } from './apply.ts'
import { MUTANTS } from './mutants.ts'

test('every mutant has a name of its own and changes exactly one place', () => {
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length)
  for (const mutant of MUTANTS) assert(applied(mutant).includes(mutant.replace), mutant.name)
})

test('a mutant whose text is gone, or is there twice, is refused', () => {
  const mutant = { name: 'outgrown', file: 'core/task.ts', replace: '' }
  assert.throws(() => applied({ ...mutant, find: 'no such text' }), /mutant "outgrown": .* found 0 times/)
  assert.throws(() => applied({ ...mutant, find: 'this.' }), /found \d\d+ times/)
})
