with

source as (

    select * from {{ source('retail', 'product') }}

),

stg_retail__products as (

    select
        id as product_id,
        {{ trimmed('name') }} as product_name,
        current_price,
        old_price,
        created_date,
        updated_date,
        expiry_date

    from source

)

select * from stg_retail__products
