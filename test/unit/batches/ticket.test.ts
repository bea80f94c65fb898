import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ticket } from '../../../lib/batches/ticket';

test('answers come in slot order, however they were delivered', async () => {
  const ticket = new Ticket(3);
  for (const slot of [2, 0, 1]) ticket.deliver(slot, Float32Array.of(slot));
  const answers = await ticket.answers;
  assert.deepEqual(
    answers.map((logits) => logits[0]),
    [0, 1, 2],
  );
  assert.equal(ticket.isOpen, false);
});

test('a ticket for nothing is answered at once', async () => {
  assert.deepEqual(await new Ticket(0).answers, []);
});

test('the first error wins, and later answers and errors change nothing', async () => {
  const ticket = new Ticket(2);
  ticket.fail(new Error('first'));
  ticket.fail(new Error('second'));
  ticket.deliver(0, Float32Array.of(1));
  await assert.rejects(ticket.answers, { message: 'first' });
});

test('an answer that comes twice counts once', async () => {
  const ticket = new Ticket(2);
  ticket.deliver(0, Float32Array.of(1));
  ticket.deliver(0, Float32Array.of(2));
  assert.equal(ticket.isOpen, true);
  ticket.deliver(1, Float32Array.of(3));
  assert.deepEqual(
    (await ticket.answers).map((logits) => logits[0]),
    [1, 3],
  );
});

test('a signal rejects with ERR_ABORTED and its reason as the cause', async () => {
  const controller = new AbortController();
  const ticket = new Ticket(1, controller.signal);
  controller.abort('enough');
  await assert.rejects(ticket.answers, { code: 'ERR_ABORTED', cause: 'enough' });
  assert.equal(ticket.isOpen, false);
});

test('a signal that fired before is seen', async () => {
  await assert.rejects(new Ticket(1, AbortSignal.abort()).answers, { code: 'ERR_ABORTED' });
});

test('a signal that fires after the answers is not heard', async () => {
  const controller = new AbortController();
  const ticket = new Ticket(1, controller.signal);
  ticket.deliver(0, Float32Array.of(1));
  controller.abort();
  assert.equal((await ticket.answers).length, 1);
});
