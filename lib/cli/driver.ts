import { readFileSync } from 'node:fs';

/** Version of the NVIDIA kernel driver, or null where none is loaded. */
export function readDriverVersion(): string | null {
  try {
    return driverVersion(readFileSync('/proc/driver/nvidia/version', 'utf8'));
  } catch {
    return null;
  }
}

/** "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Release ..." -> "580.159.04". */
export function driverVersion(text: string): string | null {
  return /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(text)?.[1] ?? null;
}
