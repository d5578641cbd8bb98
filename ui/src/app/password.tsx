/** One's own password. */
import { PasswordInput } from '@mantine/core';
import { useState } from 'react';
import { changePassword } from '@/api/session';
import { FormDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';

export function PasswordDialog({ open, close }: { open: boolean; close: () => void }) {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  return (
    <FormDialog
      title="Change password"
      open={open}
      close={close}
      verb="Change password"
      submit={async () => {
        await changePassword({ current, new: next });
        setCurrent('');
        setNext('');
        say('Password changed; your other sessions ended');
      }}
    >
      {(fault) => (
        <>
          <PasswordInput
            label="Current password"
            autoComplete="current-password"
            required
            value={current}
            onChange={(e) => setCurrent(e.currentTarget.value)}
            error={fault('current')}
          />
          <PasswordInput
            label="New password"
            autoComplete="new-password"
            required
            value={next}
            onChange={(e) => setNext(e.currentTarget.value)}
            error={fault('new')}
          />
        </>
      )}
    </FormDialog>
  );
}
