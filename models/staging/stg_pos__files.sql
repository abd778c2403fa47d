with

source as (

    select * from {{ source('pos', 'files') }}

),

stg_pos__files as (

    select
        file_id,
        file_name,
        status,
        delivered_on,
        rows_read,
        is_counted,
        replaced_by_file_id,
        batch_id

    from source

)

select * from stg_pos__files
