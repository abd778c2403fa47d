-- incremental: a build writes the batches in scope, each in a partition of its own,
-- after dropping them, and leaves the others alone
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partition_by=['batch_id'],
    pre_hook='{{ drop_batches_in_scope() }}'
) }}

with

checked_sales as (

    select * from {{ ref('int_sales_checked') }}

    where {{ is_in_scope('batch_id') }}

),

rejected_sales as (

    select * from {{ ref('int_sales_rejected') }}

),

files as (

    select * from {{ ref('int_files_judged') }}

),

files_set_aside as (

    select * from files

    where file_reason is not null

),

-- good rows of a file that is too bad to trust
distrusted_sales as (

    select checked_sales.*

    from checked_sales

    inner join files_set_aside on checked_sales.file_id = files_set_aside.file_id

    where not checked_sales.is_rejected

),

unioned as (

    select * from rejected_sales
    union all
    select * from distrusted_sales

),

quarantined_sales as (

    select
        unioned.file_id,
        files.file_name,
        unioned.line_number,
        concat_ws(' | ', nullif(unioned.reject_reasons, ''), files.file_reason)
            as reasons,
        {%- for column in contract_columns() %}
        unioned.raw_{{ column.name }},
        {%- endfor %}
        unioned.additional_column,
        unioned.raw_line,
        unioned.total_cost,
        unioned.batch_id

    from unioned

    inner join files on unioned.file_id = files.file_id

),

fct_quarantined_sales as (

    select /*+ rebalance(batch_id) */
        file_id,
        file_name,
        line_number,
        reasons,
        -- a rule keeps the mark between two reasons out of the words of one
        array_join(
            transform(
                split(reasons, ' [|] '), reason -> substring_index(reason, ':', 1)
            ),
            ', '
        ) as reason_codes,
        {%- for column in contract_columns() %}
        raw_{{ column.name }},
        {%- endfor %}
        additional_column,
        raw_line,
        total_cost,
        batch_id

    from quarantined_sales

)

select * from fct_quarantined_sales
