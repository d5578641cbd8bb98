/** A verb with a few words to go with it. */
import { Textarea } from '@mantine/core';
import { useState } from 'react';
import { FormDialog } from '@/parts/dialog';

export function TextDialog(props: {
  open: boolean;
  close: () => void;
  title: string;
  label: string;
  verb: string;
  field: string;
  required?: boolean;
  start?: string;
  submit: (text: string) => Promise<void>;
}) {
  const [text, setText] = useState(props.start ?? '');
  return (
    <FormDialog
      title={props.title}
      open={props.open}
      close={props.close}
      verb={props.verb}
      submit={() => props.submit(text)}
    >
      {(fault) => (
        <Textarea
          label={props.label}
          autosize
          minRows={3}
          data-autofocus
          required={props.required}
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          error={fault(props.field)}
        />
      )}
    </FormDialog>
  );
}
