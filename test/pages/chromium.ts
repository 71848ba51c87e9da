/** The browser that pages are tested in: Debian's, or the one that CHROMIUM names. */

import { type Browser, chromium } from 'playwright';

/** Starts it without a window. Chromium's own sandbox does not run as root. */
export function launchChromium(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}
