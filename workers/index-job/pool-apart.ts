/** A worker of the pool that shares nothing. */

import { messagesTasks } from './messages-tasks.ts';

export const { ready, index, countUses } = messagesTasks;
