-- If this fails, a row that the reader wrote is lost, or there twice.
with

ledger as (

    select * from {{ ref('fct_delivered_files') }}

    where {{ is_in_scope('batch_id') }}

),

files as (

    select * from {{ ref('stg_pos__files') }}

)

select
    ledger.file_id,
    ledger.file_name,
    files.rows_read as rows_read_by_reader,
    ledger.rows_read

from ledger

inner join files on ledger.file_id = files.file_id

where ledger.rows_read <> files.rows_read
