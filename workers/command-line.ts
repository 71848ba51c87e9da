/**
 * Command lines: how the programs here read theirs, complain and end.
 *
 *     0    all is well
 *     1    something is not: a check fails, a file cannot be read, a heap is too small. One line says what
 *     2    the command line asks for what cannot be. One line says what, and what may have been meant
 */

import { CommanderError, type CommandUnknownOpts, InvalidArgumentError } from '@commander-js/extra-typings';
import { GiB, type HeapAllocator, KiB, MiB } from '../src/index.ts';
import { UserError } from './user-error.ts';

/** The allocators that a heap can be made with, the default first. */
export const ALLOCATORS: readonly HeapAllocator[] = ['tlsf', 'buddy', 'linked-list', 'bump'];

/** Reads an option that is a whole number. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return numberLike(/^\d+$/, `a whole number from ${least} to ${most}`, least, most);
}

/** Reads an option that is a number. */
export function anyNumber(least: number, most: number): (text: string) => number {
  return numberLike(/^\d+(\.\d+)?$/, `a number from ${least} to ${most}`, least, most);
}

function numberLike(form: RegExp, what: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = form.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It takes ${what}.`);
  };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: KiB, m: MiB, g: GiB };

/** Reads an option that is a number of bytes: 4096, 64KiB, 1.5 GB. */
export function byteSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(?:([kmg])i?)?b?$/i.exec(text) ?? [];
  const bytes = digits === '' ? Number.NaN : Math.round(Number(digits) * UNITS[unit.toLowerCase()]!);
  if (bytes <= 4 * GiB) return bytes;
  throw new InvalidArgumentError('It takes a size up to 4GiB, such as 64MiB.');
}

/** What the `--help` of a command ends with. */
export function exitCodes(failure: string): string {
  return `\nExit codes: 0 all is well; 1 ${failure}; 2 the command line is wrong.`;
}

/** Runs the command that the process was started with, and sets its exit code. */
export async function runProgram(program: CommandUnknownOpts): Promise<void> {
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .configureOutput({
        outputError: (text, write) => write(text.replace(/^error: /, `${program.name()}: `)),
      })
      .showHelpAfterError(`(${pathOf(command)} --help tells what there is)`);
  }
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
    } else if (error instanceof UserError) {
      console.error(`${program.name()}: ${error.message}`);
      process.exitCode = 1;
    } else {
      throw error;
    }
  }
}

/** What to type for a command: `sabheap index`, `npm start --`. */
function pathOf(command: CommandUnknownOpts): string {
  const dashes = command.usage().startsWith('-- ') ? ' --' : '';
  return `${command.parent === null ? '' : `${command.parent.name()} `}${command.name()}${dashes}`;
}
