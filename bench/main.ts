/** npm run bench: measures, on the machine it runs on, and prints what it skipped and why. */

import { writeFileSync } from 'node:fs';
import { buildInfo } from '../lib/native/engine';
import type { PlacedModel } from '../lib/model/place-ensemble';
import { benchCeiling } from './cases/ceiling';
import { benchPeers } from './cases/peers';
import type { Ceiling } from './ceiling';
import { headerText, placeText, readHeader } from './header';
import { placeForBench, usualDevices } from './models';
import { readOptions, USAGE, type BenchOptions, type CaseName } from './options';
import { joinReports, reportText, type CaseReport } from './report';
import { runCase } from './run-case';
import { syntheticEnsemble } from './synthetic/ensemble';
import { targetsTable } from './targets';

interface Bench {
  readonly options: BenchOptions;
  readonly models: readonly PlacedModel[];
  readonly devices: readonly string[];
}

type Reports = Partial<Record<CaseName, CaseReport>>;

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return void process.stdout.write(`${USAGE}\n`);
  const hasGpu = buildInfo().devices.some(({ device }) => device !== 'cpu');
  const asked = readOptions(argv, hasGpu);
  const ensemble = asked.synthetic ? await syntheticEnsemble(asked) : asked.ensemble;
  const options = { ...asked, ensemble };
  const header = readHeader(options);
  const tell = (text: string): boolean => (options.json === '-' ? process.stderr : process.stdout).write(text);
  const bench = {
    options,
    models: await placeForBench(options),
    devices: options.devices ?? usualDevices(),
  };
  tell(`${headerText(header)}${bench.models.map(placeText).join('')}\n`);
  const show = (report: CaseReport): boolean =>
    tell(`${reportText(report, options.markdown ? 'markdown' : 'plain')}\n`);
  const reports = await runCases(bench, show);
  const summary = summaryOf(bench, reports);
  if (summary.tables.length > 0) show(summary);
  const json = `${JSON.stringify({ header, reports, summary }, null, 2)}\n`;
  if (options.json === '-') process.stdout.write(json);
  else if (options.json !== null) writeFileSync(options.json, json);
}

/** The ceiling first, since shares of it are quoted; the peers last, since ratios to them are. */
async function runCases(bench: Bench, show: (report: CaseReport) => unknown): Promise<Reports> {
  const { options, models, devices } = bench;
  const reports: Reports = {};
  const keep = (name: CaseName, report: CaseReport): void => {
    reports[name] = report;
    show(report);
  };
  const wants = (name: CaseName): boolean => options.cases.includes(name);
  const ceiling = wants('ceiling') ? await benchCeiling(models, devices, options) : undefined;
  if (ceiling !== undefined) keep('ceiling', ceiling.report);
  if (wants('models')) keep('models', await runModels(bench, ceiling?.ceilings ?? []));
  for (const name of ['ensemble', 'end-to-end', 'latency'] as const) {
    if (wants(name)) keep(name, await runCase({ name, options }));
  }
  if (wants('peers')) keep('peers', await runPeers(bench, reports.models));
  return reports;
}

async function runModels({ options, models, devices }: Bench, ceilings: readonly Ceiling[]): Promise<CaseReport> {
  const reports: CaseReport[] = [];
  for (const placed of models) {
    for (const device of devices) {
      reports.push(await runCase({ name: 'models', job: { placed, device, options, ceilings } }));
    }
  }
  return joinReports(reports);
}

/** On one device: the peers are the same on each. */
async function runPeers({ options, models, devices }: Bench, measured: CaseReport | undefined): Promise<CaseReport> {
  const device = devices[0] ?? 'cpu';
  const reports: CaseReport[] = [];
  for (const { spec } of models) {
    reports.push(await benchPeers({ spec, device, options, figures: measured?.figures ?? [] }));
  }
  return joinReports(reports);
}

/** Shares and ratios, where the cases that they are made of were run. */
function summaryOf({ models, devices }: Bench, reports: Reports): CaseReport {
  const figures = Object.values(reports).flatMap((report) => report.figures);
  const subjects = models.map(({ spec: { name, architecture } }) => ({ name, architecture }));
  const tables = devices
    .filter((device) => device !== 'cpu')
    .map((device) => targetsTable(figures, subjects, device))
    .filter(({ rows }) => rows.length > 0);
  return { tables, skipped: [], figures: [] };
}

void main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
