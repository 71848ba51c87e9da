/** The process of one stress run: started by supervisor.ts, which it tells how far it is, and then its report. */

import type { StressOptions } from './options.ts';
import { Referee } from './referee.ts';
import type { StressMessage } from './supervisor.ts';

const referee = new Referee(JSON.parse(process.argv[2]!) as StressOptions);
// Who waits for the report is gone, with Ctrl-C or killed: nobody is left to be told.
process.on('disconnect', () => process.exit(1));
const report = await referee.run((progress) => process.send!({ progress } satisfies StressMessage));
process.send!({ report } satisfies StressMessage, () => process.exit(0));
