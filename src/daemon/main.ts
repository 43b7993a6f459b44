#!/usr/bin/env node
import { runCli } from './cli.ts';

// What cannot be printed (a full disk, a closed pipe) must not end the program.
process.stderr.on('error', () => undefined);
process.exitCode = await runCli(process.argv);
