/** The schemas of the two settings files, for editors: models/*.schema.json. */

import { z } from 'zod';
import { ensembleSchema } from './ensemble';
import { manifestSchema } from './manifest';

/** By file name. */
export function jsonSchemas(): Readonly<Record<string, unknown>> {
  return {
    'manifest.schema.json': titled('pairscore model manifest', manifestSchema),
    'ensemble.schema.json': titled('pairscore ensemble', ensembleSchema),
  };
}

function titled(title: string, schema: z.ZodType): unknown {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return { $schema, title, ...rest };
}
