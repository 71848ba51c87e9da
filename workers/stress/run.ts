/** The process of one stress run: started by main.ts, to which it sends its report. */

import { readOptions } from './options.ts';
import { Referee } from './referee.ts';

const referee = new Referee(readOptions(process.argv.slice(2))!);
const report = await referee.run((line) => void process.stderr.write(`${line}\n`));
process.send!(report, () => process.exit(0));
