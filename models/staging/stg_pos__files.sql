with

source as (

    select * from {{ source('pos', 'files') }}

),

stg_pos__files as (

    select
        file_id,
        file_name,
        file_location,
        status,
        etag,
        sha256,
        size_bytes,
        rows_read,
        is_counted,
        replaced_by_file_id,
        created_date as created_at,
        batch_id

    from source

)

select * from stg_pos__files
